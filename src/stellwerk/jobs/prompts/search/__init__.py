"""What searches for wordings are made of: what may be changed, who is asked, what it costs, how it is proven and told."""
