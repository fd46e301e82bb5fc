/**
 * A stream of audio to an upbeat server, in the framed format: numbered blocks go out, analyses and events come back.
 * Keeps within the server's credit, acknowledges what it gets, and reconnects with the resume token.
 *
 *     const stream = new UpbeatStream("ws://127.0.0.1:8000", "my-stream", { sampleRate: 48000, rate: 30 });
 *     stream.on("analysis", (message) => console.log(message.pitch));
 *     stream.on("beat", (message) => console.log(message.timestamp));
 *     stream.connect();
 *     stream.send(samples, firstSample); // Float32Array, as often as there are samples
 *     stream.stop();
 *
 * Runs in browsers and in Node.js 22 or newer (which have a global WebSocket).
 */
export class UpbeatStream {
  #socket = null;
  #listeners = new Map();
  #sequence = 0;
  #analyzed = 0;
  #credit = 0;
  #token = null;
  #attempt = 0;
  #stopped = false;
  #timers = [];
  #number = Math.floor(Math.random() * 2 ** 32);

  /** Samples that were not sent, because the server had no room for them or there was no connection. */
  dropped = 0;
  /** From a ping to its answer, in milliseconds; null before the first. */
  roundTrip = null;
  /** "connecting", "connected", "waiting" (for the next attempt) or "closed". */
  state = "closed";

  /**
   * @param {string} server such as "ws://127.0.0.1:8000"
   * @param {string} id 1 to 64 letters, digits, "-" or "_"
   * @param {{sampleRate: number, channels?: number, rate?: number, spectrogram?: boolean, features?: string[],
   *   token?: string}} options
   */
  constructor(server, id, options) {
    this.server = server;
    this.id = id;
    this.options = { channels: 1, rate: 10, spectrogram: false, features: [], ...options };
  }

  /**
   * Calls `listener` with each message of a type, or of every type for "*". The type "state" is told when the
   * connection's state changes.
   */
  on(type, listener) {
    const listeners = this.#listeners.get(type) ?? [];
    this.#listeners.set(type, [...listeners, listener]);
    return this;
  }

  connect() {
    this.#stopped = false;
    const { sampleRate, channels, rate, spectrogram, features, token } = this.options;
    const query = new URLSearchParams({ framing: "framed", sample_rate: sampleRate, channels, rate, spectrogram });
    if (features.length > 0) query.set("features", features.join(","));
    if (this.#token) query.set("resume", this.#token);
    if (token) query.set("token", token);
    this.#enter("connecting");
    const socket = new WebSocket(`${this.server}/api/v1/stream/audio/${this.id}?${query}`);
    this.#socket = socket;
    socket.onmessage = ({ data }) => socket === this.#socket && this.#receive(JSON.parse(data));
    socket.onclose = ({ code }) => socket === this.#socket && this.#lost(code);
    // What went wrong is not told to pages; that it has ended is.
    socket.onerror = () => {};
  }

  /** Sends interleaved samples; `first` is the index of the first one, per channel. False if they were dropped. */
  send(samples, first) {
    const { sampleRate, channels } = this.options;
    const count = samples.length / channels;
    const fits = this.state === "connected" && first + count <= this.#analyzed + this.#credit;
    if (!fits) {
      this.dropped += count;
      return false;
    }
    const message = new ArrayBuffer(28 + 4 * samples.length);
    const header = new DataView(message);
    header.setUint8(0, 0x55); // U
    header.setUint8(1, 0x42); // B
    header.setUint8(2, 1); // version
    header.setUint8(3, 0); // f32
    header.setUint16(4, channels, true);
    header.setUint32(8, this.#number, true);
    header.setUint32(12, this.#sequence++, true);
    header.setBigUint64(16, BigInt(first), true);
    header.setUint32(24, sampleRate, true);
    new Float32Array(message, 28).set(samples); // all browsers' machines are little-endian
    this.#socket.send(message);
    return true;
  }

  /** Ends the stream; what was sent is analysed, then "stream_stopped" comes. */
  stop() {
    this.#stopped = true;
    if (this.state === "connected") this.#socket.send('{"type":"stop"}');
    else this.close();
  }

  /** Ends the connection at once. */
  close() {
    this.#stopped = true;
    this.#clear();
    this.#socket?.close();
    this.#socket = null;
    this.#enter("closed");
  }

  #receive(message) {
    switch (message.type) {
      case "stream_started":
        this.#token = message.resume_token;
        this.#attempt = 0;
        // A stream begins at any index: until the first answer, all of the buffer is free.
        this.#analyzed = message.resumed ? message.next_sample : Infinity;
        this.#credit = message.credit;
        this.#enter("connected");
        this.#ping();
        break;
      case "ack":
        this.#analyzed = message.analyzed;
        this.#credit = message.credit;
        break;
      case "pong":
        this.roundTrip = performance.now() - message.time;
        break;
      case "error":
        // Someone else has the name, or the server was started anew: go on under another one.
        if (message.code === "stream_exists") this.id = `${this.id.slice(0, 48)}-${Date.now().toString(36)}`;
        break;
      case "stream_stopped":
        this.#token = null;
        break;
    }
    if (message.sequence && message.type !== "ack" && message.sequence % 8 === 0) {
      this.#socket.send(JSON.stringify({ type: "ack", sequence: message.sequence }));
    }
    this.#tell(message.type, message);
  }

  #ping() {
    this.#clear();
    const ping = () => {
      if (this.state === "connected") this.#socket.send(JSON.stringify({ type: "ping", time: performance.now() }));
    };
    ping();
    this.#timers.push(setInterval(ping, 1000));
  }

  #lost(code) {
    this.#clear();
    this.#socket = null;
    // 1000: the stream was ended here or by someone else; after anything else it is worth another attempt.
    if (this.#stopped || code === 1000) {
      this.#enter("closed");
      return;
    }
    // 0.25 s, then twice as long each time up to 5 s, each a little different from what others wait.
    const wait = Math.min(5000, 250 * 2 ** this.#attempt++) * (0.75 + Math.random() / 2);
    this.#enter("waiting");
    this.#timers.push(setTimeout(() => this.connect(), wait));
  }

  #clear() {
    for (const timer of this.#timers.splice(0)) clearTimeout(timer);
  }

  #enter(state) {
    this.state = state;
    this.#tell("state", { type: "state", state });
  }

  #tell(type, message) {
    for (const listener of this.#listeners.get(type) ?? []) listener(message);
    if (type !== "*") for (const listener of this.#listeners.get("*") ?? []) listener(message);
  }
}
