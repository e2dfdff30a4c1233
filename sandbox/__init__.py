"""A place to run the dev stack where no image and no plugin can be downloaded; a package of its own."""
