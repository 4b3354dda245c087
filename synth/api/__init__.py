"""Python as a notebook uses it: `synth.generate`, `synth.insert`, `synth.read`, `synth.load_case`, `synth.evaluate`."""
