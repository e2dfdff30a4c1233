"""What the platform is made of; each component says what runs and how its parts are wired, never where."""
