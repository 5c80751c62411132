"""The figures of a run: one kind per file. `gallery` lists the kinds; `style` has colours and SVG."""
