"""Messages: names that are listed or suggested."""

from toposheet.errors import did_you_mean, listed


def test_a_list_of_names_is_one_short_line():
    assert listed(["a", "b"]) == "a, b"
    assert listed(map(str, range(400))) == ", ".join(map(str, range(20))) + " and 380 others"
    assert listed(map(str, range(21))).endswith(", 19 and 1 other")
    assert listed(["two\nlines", "x" * 200]) == f"two lines, {'x' * 60}"
    assert listed([]) == ""


def test_the_name_with_the_nearest_spelling_is_suggested_whatever_its_capitals():
    assert did_you_mean("Nuon", ["verb", "noun"]) == " Did you mean noun?"
    assert did_you_mean("xyz", ["verb", "noun"]) == ""
