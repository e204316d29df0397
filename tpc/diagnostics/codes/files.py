"""Files, data and requests: what is wrong outside of a program's text."""

from tpc.diagnostics.codes.code import Code

CODES = (
    Code(
        "E0901",
        "a result cannot be written",
        "Results are written to a temporary file beside the target, which takes the target's place "
        "once it is complete. The folder does not exist and cannot be made, may not be written to, "
        "or the disk is full. What stood at the target before is untouched.",
    ),
    Code(
        "E0902",
        "a program cannot be read",
        "The file does not exist, may not be read, is not UTF-8 text, or is far too large to be a "
        "program.",
    ),
    Code(
        "E0903",
        "no kernel limit of training",
        "Without `--kind`, the limit that is derived is the one that training has. A program that "
        "is unstable, degenerate or trivial has none, and feature learning is not described "
        "by a kernel. The kernels at initialisation exist all the same: ask for `nngp` or `ntk`.",
    ),
    Code(
        "E0910",
        "data without an array that the program needs",
        "Arrays are matched with inputs by name: input `x` reads the array `x`, and `test_x` at "
        "the test points. Every input needs its array; targets are needed for training.",
    ),
    Code(
        "E0911",
        "an array without a name",
        "An .npy file holds a single array and no name. Say which input it is: "
        "`--data x=images.npy`. An .npz archive holds arrays with names.",
    ),
    Code(
        "E0912",
        "data that cannot be read",
        "The file does not exist, is damaged or cut short, or is not an .npy or .npz file of "
        "plain numbers. Files with pickled Python objects are refused, since to read them is "
        "to run them.",
    ),
    Code(
        "E0913",
        "class labels out of range",
        "A target of shape `[k]` may be given as one integer label for each sample, which becomes "
        "a one-hot row. Labels count from 0 to k - 1.",
    ),
    Code(
        "E0914",
        "samples that the data cannot give",
        "`--batch` draws that many different samples for each step. It is at least one and at most "
        "the number of samples in the data. `--test` splits test points off, and leaves at least "
        "one sample on either side; data that have test points of their own are not split.",
    ),
    Code(
        "E0915",
        "targets without the axes of the output",
        "Where entries of the output are not independent copies of each other (tokens, pixels), "
        "their kernel has these axes too, and predictions use the correlations: targets then have "
        "exactly the axes of the output.",
    ),
    Code(
        "E0916",
        "a data set that lacks what a split names",
        "A split of Omniglot lists characters by part and alphabet. Every one of them must be in "
        "the zip file of its part, all with the same number of drawings of one size. The file is "
        "another one than the split was made for, or only a part of it.",
    ),
    Code(
        "E0917",
        "images that do not fit an input",
        "Images fill inputs of axes [height, width], [height, width, 1 or 3], or [side * side] in "
        "grey. Larger ones are averaged down to that size; none is enlarged.",
    ),
    Code(
        "E0918",
        "a text that does not fit an input",
        "Texts fill integer inputs `[T] in vocab`, as windows of T tokens, or line by line with "
        "the class before a tab. A text needs more tokens than one window; a test text has no "
        "tokens that the training text lacks, unless the vocabulary has a number for unknown "
        "ones; zeros pad sequences at their end.",
    ),
)
