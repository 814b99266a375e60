"""Where rows come from that are no files on this disk: databases, REST APIs, object stores and the web."""
