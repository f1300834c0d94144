"""The handwritten digits that scikit-learn ships."""

from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from taut.demo.arrays import Floats, Integers

SIDE = 8  # of an image, in pixels
CLASSES = 10
_WHITE = 16.0  # the brightest pixel


@dataclass(frozen=True)
class Digits:
    """Images as rows of SIDE * SIDE pixels in float32, and the digits they show.

    A pixel of 1 is as much brighter than one of 0 as white is than black; its mean over the
    training images is 0.
    """

    train_images: Floats
    train_labels: Integers
    test_images: Floats
    test_labels: Integers


def load(seed: int) -> Digits:
    """Returns the 1,797 images, a quarter of them held out for the test.

    Args:
        seed: Decides which are held out; each digit is held out equally often.
    """
    images, labels = load_digits(return_X_y=True)
    images = (images / _WHITE).astype(np.float32)
    train_images, test_images, train_labels, test_labels = train_test_split(
        images, labels, test_size=0.25, random_state=seed, stratify=labels
    )
    # Without it all inputs are positive, and half of the units would be silent from the start.
    mean = train_images.mean(axis=0)
    return Digits(train_images - mean, train_labels, test_images - mean, test_labels)
