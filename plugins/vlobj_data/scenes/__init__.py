"""The embedded data `scenes`: a procedural world of coloured shapes, a pure function of (seed, split, number).

Everything but `scenes` and the views in `shown` is plain NumPy. What lies where:

    dice       counter-based randomness            world      attributes, splits, drawing a description
    claims     what a caption says, and `fits`     words      captions and phrases
    sets       scene of a number; the proof        oracle     what a reader of descriptions would score
    paint      pictures, boxes, pixel masks        motion     clips
    questions  question-answer pairs               twins      pairs that differ in one thing
    draws      what is shown of a scene            wrong      captions that are false in one thing
    shown      the columns of a sample             scenes     the class `Scenes` that a recipe names
"""
