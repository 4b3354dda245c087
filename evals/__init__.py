"""Numbers: whether synthetic CT is faithful, diverse and worth training on."""
