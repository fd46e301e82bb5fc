// Runs on the audio thread: collects what comes in, mixed to one channel, and hands it on in blocks.

class Capture extends AudioWorkletProcessor {
  #block = new Float32Array(1024);
  #filled = 0;

  process([input]) {
    // Without a source there is silence, not nothing: the stream's clock goes on.
    const length = input[0]?.length ?? 128;
    for (let i = 0; i < length; i++) {
      let sum = 0;
      for (const channel of input) sum += channel[i];
      this.#block[this.#filled++] = input.length > 0 ? sum / input.length : 0;
      if (this.#filled === this.#block.length) {
        const samples = this.#block.slice();
        // The index, on the audio thread's own clock, of the first sample of the block.
        const first = currentFrame + i + 1 - samples.length;
        this.port.postMessage({ samples, first }, [samples.buffer]);
        this.#filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("capture", Capture);
