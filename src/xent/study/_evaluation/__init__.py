"""What a trained model is worth: scores, parameters, probabilities recovered."""
