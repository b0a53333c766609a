"""Compare scores without a test label: test videos made of normal ones, by people pasted too fast, too large or turned.

    python benchmarks/pasted.py --videos PATH/ped2/training/frames --held_out 06 12 --out pasted
    anomalib test --config configs/ped2.yaml --data.root pasted --ckpt_path model.ckpt

The first writes the videos and masks, the second judges them; its report has every score beside the controls.
``--held_out`` names the videos that the model was not trained on: every sixth, unless told otherwise.
"""

import argparse
from pathlib import Path

from anomalib_stmem.data.pasted import KINDS, write_pasted


def main() -> None:
    """Read the command line and write the videos."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=Path, required=True, help="folder of normal videos of one camera")
    parser.add_argument("--held_out", nargs="+", required=True, help="names of those to paste people into")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--versions", type=int, default=2, help="videos of each kind and held-out video")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    try:
        write_pasted(options.videos, options.out, options.held_out, options.versions, options.seed)
    except (ValueError, FileNotFoundError) as mistake:
        parser.error(str(mistake))
    print(f"{len(KINDS) * options.versions * len(options.held_out)} videos in {options.out}/testing/frames")


if __name__ == "__main__":
    main()
