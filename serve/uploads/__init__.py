"""Files that readers upload: read in a process of their own, within limits, so that a hostile one harms nobody."""
