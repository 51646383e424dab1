"""Draws a report: charts as SVG, the page as one HTML file that loads nothing. It knows the domain only."""
