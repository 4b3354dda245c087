"""Python as a notebook uses it: `synth.generate`, `synth.insert`, `synth.scan`, `synth.load_case`, .."""
