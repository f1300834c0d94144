"""The colours of the picture."""

INK = "#222222"
FAINT = "#777777"

WEIGHTS = "RdBu_r"  # it diverges from white: the sign matters, and zero should look empty
COSINES = "Purples"
OUTPUTS = "Greens"

# Of Okabe and Ito (2008), to be told apart whatever the eye, and a dark one beside its fellow: one
# for each experiment, in order.
RUNS = (
    "#777777",
    "#d55e00",
    "#8c3a00",
    "#000000",
    "#0072b2",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#009e73",
)
