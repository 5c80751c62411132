"""The figures of a run: one kind per file. `gallery` lists the kinds; `style` holds colours and the way to SVG."""
