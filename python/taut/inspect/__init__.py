"""What `taut inspect` does: read a checkpoint's tensors one by one, measure them, and report.

- `readers/`: a module per format, from a file to its tensors.
- `elements.py`: what is measured of a tensor's elements.
- `vectors.py`: what is measured between its rows, and between its columns.
- `findings.py`: what of it a person would mend, and in which order.
- `inspection.py`: from a path to measured tensors.
- `table.py`, `page.py`, `charts.py`, `as_json.py`: the reports.
"""
