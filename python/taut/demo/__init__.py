"""The demo: what each penalty does to the weights of a small network.

It needs the extra `demo` (scikit-learn, matplotlib, rich), which nothing else of taut does.
"""
