"""What readers said about classifications: stored durably, given back as training data."""
