"""What a service declares: frozen values that start nothing and know no broker."""
