from toposheet.fields import differences


def test_fields_that_differ_are_named_with_what_is_there_and_what_is_asked_for():
    assert differences({"seed": 0, "updates": 20}, {"seed": 3, "updates": 20}) == ["seed is 0 there, but 3 now"]


def test_a_field_that_one_of_the_two_lacks_differs():
    assert differences({"device": "GPU"}, {"device": "CPU", "threads": 2}) == [
        "device is GPU there, but CPU now",
        "threads is None there, but 2 now",
    ]
    assert differences({"device": "CPU", "threads": 2}, {"device": "GPU"}) == [
        "device is CPU there, but GPU now",
        "threads is 2 there, but None now",
    ]
