"""Writes the handwritten digits that scikit-learn ships as a CSV file.

    python write_digits.py digits.csv [seed]

A line per image: "train" or "test", the digit it shows, and its 8 x 8 pixels from 0 to 16, one row
after the other. The seed decides which quarter is held out for the test, each digit equally often;
it is the same one as in `python -m taut demo`.
"""

import csv
import sys

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def main(path: str, seed: int) -> None:
    images, labels = load_digits(return_X_y=True)
    train_images, test_images, train_labels, test_labels = train_test_split(
        images, labels, test_size=0.25, random_state=seed, stratify=labels
    )
    with open(path, "w", newline="", encoding="ascii") as file:
        writer = csv.writer(file)
        for split, rows, digits in [
            ("train", train_images, train_labels),
            ("test", test_images, test_labels),
        ]:
            for row, digit in zip(rows.astype(int), digits, strict=True):
                writer.writerow([split, digit, *row])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0)
