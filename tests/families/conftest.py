import pytest


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory):
    """A Hugging Face folder by the name of its architecture, and the model in it as transformers has it; made once."""
    pytest.importorskip("transformers", reason="the extra hf is not installed")
    from tests.families.folders import write_folder

    made = {}

    def folder_of(name):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            made[name] = (folder, write_folder(folder, name))
        return made[name]

    return folder_of
