"""Set-up of a checkout; standard library only, since it runs before anything is installed."""
