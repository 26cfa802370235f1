"""Subjects in Brain-Score (`brainscore-language`), with their interventions and the places of their units.

brainscore-language 2.3 needs transformers < 5, numpy < 2 and xarray < 2022.6, and toposheet needs newer versions of all
three. So they are in two environments. The subject runs in the environment of toposheet, as a process of its own
(`worker`, `opening`, `answers`). In the environment of Brain-Score, `subject.BrainScoreSubject` starts this process and
asks it over a pipe (`process`, `messages`).

The other way is to run the whole of toposheet under the old versions of its packages. It was not chosen: responses,
regions and interventions would have to be written and tested for transformers 4 and 5, and for two generations of numpy
and xarray; and a number under old versions could differ from the same number in a report. In two processes, a benchmark
gets what `toposheet.respond` gets.

So `subject`, `process` and `messages` import nothing of toposheet except `errors`. They need only the standard library,
numpy, and the packages that come with brainscore-language. import-linter checks this.
"""
