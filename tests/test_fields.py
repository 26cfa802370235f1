from toposheet.fields import differences


def test_fields_that_differ_are_named_with_what_is_there_and_what_is_asked_for():
    assert differences({"seed": 0, "updates": 20}, {"seed": 3, "updates": 20}) == ["seed: 0, 3"]


def test_a_field_that_one_of_the_two_lacks_differs():
    assert differences({"device": "GPU"}, {"device": "CPU", "threads": 2}) == ["device: GPU, CPU", "threads: None, 2"]
    assert differences({"device": "CPU", "threads": 2}, {"device": "GPU"}) == ["device: CPU, GPU", "threads: 2, None"]
