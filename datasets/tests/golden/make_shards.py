"""Makes ../fixtures/shards: tiny shards by the writers that people use, and what Python's tarfile finds in them.

Run: python make_shards.py, with Python 3.11's tarfile, webdataset 1.0.2, GNU tar 1.34 and pillow 13.0.0. The outputs are
kept in the repository.
"""

import io
import json
import pathlib
import subprocess
import sys
import tarfile
import tempfile

import PIL
import webdataset
from PIL import Image

OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "shards"
OUT.mkdir(exist_ok=True)
LONG = "a" * 60 + "/" + "b" * 60  # over the 100 characters of an old header


def png(shade):
    out = io.BytesIO()
    Image.new("RGB", (2, 2), (shade, 0, 0)).save(out, "png")
    return out.getvalue()


def with_tarfile(name, form, keys, **more):
    with tarfile.open(OUT / name, "w", format=form, **more) as tar:
        for i, key in enumerate(keys):
            for extension, data in [("png", png(i)), ("cls", str(i).encode())]:
                info = tarfile.TarInfo(f"{key}.{extension}")
                info.size, info.mtime = len(data), 1.5
                tar.addfile(info, io.BytesIO(data))


# Its time stamps are fractions, so each member has a pax header.
with webdataset.TarWriter(str(OUT / "webdataset.tar"), encoder=True, mtime=1.5) as writer:
    writer.write({"__key__": "n01/first", "png": png(0), "cls": 0})
    writer.write({"__key__": "n01/second", "png": png(1), "json": {"label": 1, "text": "second"}})

with_tarfile("pax.tar", tarfile.PAX_FORMAT, ["zürich", LONG], pax_headers={"comment": "a global header"})
with_tarfile("ustar.tar", tarfile.USTAR_FORMAT, ["first", LONG])

# GNU tar as people call it: `./` before each name, folders, a long name, a link.
with tempfile.TemporaryDirectory() as folder:
    root = pathlib.Path(folder)
    for i, key in enumerate(["first", LONG]):
        (root / key).parent.mkdir(exist_ok=True)
        (root / f"{key}.png").write_bytes(png(i))
        (root / f"{key}.cls").write_text(f"{i}\n")
    (root / "README").symlink_to("first.cls")
    fixed = ["--sort=name", "--mtime=@1", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu"]
    subprocess.run(["tar", *fixed, "-cf", OUT / "gnu.tar", "-C", folder, "."], check=True)

expected = {}
for path in sorted(OUT.glob("*.tar")):
    members = []
    with tarfile.open(path) as tar:
        for member in tar:
            if not member.isdir():
                name = member.name.removeprefix("./")
                members.append([name, member.offset_data, member.size, member.issym()])
    expected[path.name] = members
versions = {"python": sys.version.split()[0], "webdataset": webdataset.__version__, "pillow": PIL.__version__}
versions["tar"] = subprocess.run(["tar", "--version"], capture_output=True, text=True).stdout.splitlines()[0]
(OUT / "expected.json").write_text(json.dumps({"versions": versions, "members": expected}, ensure_ascii=False) + "\n")
