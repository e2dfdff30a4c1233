"""What the platform is made of; each component defines what runs and how its parts connect, never where."""
