"""Figures: records and arrays in, a Plotly figure out; one file a subject, no Streamlit."""
