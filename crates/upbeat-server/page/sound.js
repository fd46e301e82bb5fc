// Where the sound comes from: microphone, file or demo.

export class Sound {
  #context = null;
  #source = null;
  #capture = null;
  #tracks = [];

  /** Is called with samples and the index of the first one. */
  onblock = () => {};
  /** Is called when a file has been played to its end. */
  onend = () => {};

  get context() {
    return this.#context;
  }

  get sampleRate() {
    return this.#context.sampleRate;
  }

  /** The sample that is heard now, by the index that `onblock` uses. */
  get now() {
    return this.#context.currentTime * this.#context.sampleRate;
  }

  async microphone() {
    // What browsers do for telephony would falsify what is measured.
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const stream = await navigator.mediaDevices.getUserMedia({ audio });
    const context = await this.#open();
    this.#tracks = stream.getTracks();
    this.#start(context.createMediaStreamSource(stream), false);
  }

  /** Plays bytes of a sound file. */
  async play(bytes, loop) {
    const context = await this.#open();
    const buffer = await context.decodeAudioData(bytes);
    const source = new AudioBufferSourceNode(context, { buffer, loop });
    source.onended = () => source === this.#source && this.onend();
    this.#start(source, true);
    source.start();
  }

  stop() {
    for (const track of this.#tracks.splice(0)) track.stop();
    const source = this.#source;
    this.#source = null;
    source?.disconnect();
    source?.stop?.();
    this.#capture?.disconnect();
    if (this.#capture) this.#capture.port.onmessage = null;
    this.#capture = null;
  }

  async #open() {
    this.stop();
    if (!this.#context) {
      const context = new AudioContext({ latencyHint: "interactive" });
      await context.audioWorklet.addModule("/page/capture.js");
      this.#context = context;
    }
    await this.#context.resume();
    return this.#context;
  }

  #start(source, audible) {
    const context = this.#context;
    this.#source = source;
    this.#capture = new AudioWorkletNode(context, "capture", { numberOfOutputs: 1 });
    this.#capture.port.onmessage = ({ data }) => this.onblock(data.samples, data.first);
    source.connect(this.#capture);
    // Its output is silent; connected, it is called.
    this.#capture.connect(context.destination);
    if (audible) source.connect(context.destination);
  }
}
