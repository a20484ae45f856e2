//! From a speech model's scores to text.
