"""In: nothing. Out: a trained model, watched videos and the report, all of the drawn walkway."""
