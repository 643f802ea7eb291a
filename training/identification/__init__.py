"""Whether a lever's effect is known from the record, or only how operators used the lever.

moves      what a lever did beyond what its operators' rule explains, and what they had before them
crossfit   nuisance models fitted on other cells at other times
slope      the effect per unit from the moves that the rule does not explain, clustered by cell and fortnight
verdict    identified, weak, or not identified, with the reason
assess     all of it for every lever of a training run
"""
