"""What people ask of a running server, and order by hand."""
