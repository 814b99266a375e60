"""What happened: tables, lineage, journal, leases."""
