"""In: what to watch and a trained model. Out: events as they happen, or a threshold set anew."""
