"""Test of the page and its charts; needs python3-matplotlib, so bench/run --check runs it."""
import os
import xml.etree.ElementTree

from vb import charts, report, test_vb
from vb.figures import Figures


class Page(test_vb.Folder):
    def test_page(self):
        run = dict(test_vb.Results.run_with_filters(), settings={"fsync": "off"}, profile={"quick": True})
        for value in (20, 80):		# a curve has three points
            for cell in [c for c in run["cells"] if c["what"].get("value") == 40]:
                run["cells"].append({"what": dict(cell["what"], value=value),
                                     "figures": dict(cell["figures"], recall=0.9 + value / 1000)})
        run["machine"] = dict(run["machine"], memory=1 << 30, kernel="6")
        found = Figures([run])
        path = report.write_page(found, self.place.name)
        with open(path) as file:
            page = file.read()
        self.assertIn("6.00× (1.00–9.00)", page)
        self.assertIn("<td>3.00×, 3.00×</td><td>20.00× (20.00–20.00), 21×</td>", page)
        pictures = [name for name in os.listdir(self.place.name) if name.endswith(".svg")]
        self.assertGreater(len(pictures), 1)
        for name in pictures:
            self.assertIn(f'src="{name}"', page)
            xml.etree.ElementTree.parse(os.path.join(self.place.name, name))
        charts.save(charts.recall_panels(found, ["k"]), self.file("panels.svg"))
        with open(self.file("panels.svg")) as file:
            self.assertIn("vecext/hnsw", file.read())
