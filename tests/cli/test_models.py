from evaladapt.cli.main import invoke
from tests.model.strangers import entry_point, install


def test_a_family_whose_module_says_nothing_is_shown_by_its_summary(monkeypatch, capsys):
    monkeypatch.setattr("tests.model.strangers.__doc__", None)
    install(monkeypatch, entry_point("tests.model.strangers:Packing"))
    assert invoke(["models", "show", "mine"]) == 0
    assert capsys.readouterr().out == "mine  (other 1.0)\n\npairs of bytes\n\nWants a file called *.mine.\n"
