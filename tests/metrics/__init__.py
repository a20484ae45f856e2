"""The backend's own metrics, and the dashboard that shows them."""
