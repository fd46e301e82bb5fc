// The page: takes sound, sends it, and shows what comes back.

import { UpbeatStream } from "/page/client.js";
import { Spectrogram, chroma, level, name, pulse, recolor, timeline, waveform } from "/page/draw.js";
import { Sound } from "/page/sound.js";

const element = (id) => document.getElementById(id);
const sound = new Sound();
const spectrogram = new Spectrogram();

/** How far back the lines go, in seconds. */
const MINUTE = 60;
const SHORT = 10;
/** How old the newest analysis may be for what it says to be shown as now, in seconds. */
const FRESH = 1.5;

let stream = null;
/** The index, on the audio thread's clock, of the stream's first sample. */
let origin = 0;
let state = blank();

function blank() {
  return {
    analysis: null, received: 0, samples: null, energy: [], transitions: [], pitch: [], onsets: [], onsetCount: 0,
    beats: [], lastBeat: null, lost: 0, latency: null, sentAt: [], level: null, provides: [],
  };
}

/** The sample of the stream that sounds now. */
const now = () => (sound.context ? sound.now - origin : 0);
const seconds = () => now() / sound.sampleRate;

async function begin(button, start) {
  end();
  notice(null);
  for (const other of document.querySelectorAll("nav button")) other.removeAttribute("aria-pressed");
  button.setAttribute("aria-pressed", "true");
  try {
    await start();
  } catch (error) {
    button.removeAttribute("aria-pressed");
    notice(explain(error));
    return;
  }
  state = blank();
  spectrogram.clear();
  element("stop").disabled = false;
  connect();
}

function explain(error) {
  switch (error.name) {
    case "NotAllowedError": return "The microphone may not be used: allow it in the browser's settings for this page.";
    case "NotFoundError": return "There is no microphone.";
    case "EncodingError": return "This file is no sound that the browser can play.";
    default: return `That did not work: ${error.message}`;
  }
}

function connect() {
  const server = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}`;
  const id = `page-${crypto.randomUUID().slice(0, 8)}`;
  const token = new URLSearchParams(location.search).get("token") ?? undefined;
  const current = new UpbeatStream(server, id, { sampleRate: sound.sampleRate, rate: 30, spectrogram: true, token });
  stream = current;
  origin = null;
  sound.onblock = (samples, first) => {
    state.samples = samples;
    // The stream begins with the first block that can be sent.
    if (origin === null && current.state !== "connected") return;
    origin ??= first;
    const index = first - origin;
    if (current.send(samples, index)) {
      state.sentAt.push([index + samples.length, performance.now()]);
      if (state.sentAt.length > 200) state.sentAt.shift();
    }
  };
  sound.onend = () => {
    element("stop").click();
    notice("The file is at its end.");
  };
  // What an earlier stream still tells is not of this one.
  const on = (type, listener) => current.on(type, (message) => stream === current && listener(message));
  on("stream_started", (m) => { state.provides = m.provides; });
  on("state", ({ state: entered }) => connection(entered));
  on("analysis", analysis);
  on("transition", (m) => state.transitions.push({ time: m.timestamp, label: m.kind }));
  on("onset", (m) => {
    state.onsets.push({ time: m.timestamp });
    state.onsetCount++;
  });
  on("beat", beat);
  on("gap", (m) => { state.lost += m.lost; });
  on("level_changed", (m) => { state.level = m.level; });
  on("error", (m) => notice(m.message));
  current.connect();
}

function analysis(message) {
  state.analysis = message;
  state.received = performance.now();
  if (message.level) state.level = message.level;
  if (message.log_mel) spectrogram.add(message.log_mel);
  const time = message.timestamp;
  keep(state.energy, [time, message.energy], MINUTE);
  const octaves = message.pitch === null ? null : Math.log2(message.pitch / 65.4) / 5;
  keep(state.pitch, [time, octaves], SHORT);
  // When the sample was sent that made this analysis possible.
  const sent = state.sentAt.find(([end]) => end >= message.sample);
  if (sent) state.latency = performance.now() - sent[1];
  if (message.next_beat) plan(message.next_beat.sample);
}

function keep(points, point, length) {
  points.push(point);
  while (point[0] - points[0][0] > length) points.shift();
}

/** A beat that is expected: it replaces those expected near it. */
function plan(sample) {
  const apart = 0.12 * sound.sampleRate;
  state.beats = state.beats.filter((beat) => Math.abs(beat - sample) > apart && beat > now());
  if (sample > now()) state.beats.push(sample);
}

function beat(message) {
  // Beats that lie ahead are shown when they are due; one that was not foreseen, at once.
  if (message.sample > now()) plan(message.sample);
  else if (state.lastBeat === null || message.sample - state.lastBeat > 0.12 * sound.sampleRate) {
    state.lastBeat = message.sample;
  }
}

function end() {
  sound.stop();
  sound.onblock = () => {};
  stream?.stop();
  if (stream) connection("closed");
  stream = null;
  element("stop").disabled = true;
  for (const button of document.querySelectorAll("nav button")) button.removeAttribute("aria-pressed");
}

const STATES = {
  closed: "not connected", connecting: "connecting…", connected: "connected", waiting: "connection lost, trying again…",
};

function connection(entered) {
  element("connection").dataset.state = entered;
  element("connection").textContent = STATES[entered];
  if (entered === "connected") notice(null);
}

function notice(message) {
  element("notice").hidden = !message;
  element("notice").textContent = message ?? "";
}

const show = (id, text) => {
  const target = element(id);
  if (target.textContent !== text) target.textContent = text;
};
const decibels = (amplitude) => (amplitude > 0 ? `${(20 * Math.log10(amplitude)).toFixed(1)} dB` : "–");
const unit = (value, digits, of) => (value === null || value === undefined ? "–" : `${value.toFixed(digits)} ${of}`);
const percent = (share) => `${Math.round(100 * share)} %`;

function note(frequency) {
  const number = Math.round(69 + 12 * Math.log2(frequency / 440));
  const names = ["C", "D♭", "D", "E♭", "E", "F", "G♭", "G", "A♭", "A", "B♭", "B"];
  return `${names[number % 12]}${Math.floor(number / 12) - 1} · ${frequency.toFixed(1)} Hz`;
}

function tempo(known) {
  show("tempo", known?.tempo ? known.tempo.toFixed(1) : "–");
  if (!known) return show("alternatives", "no source yet");
  if (!known.tempo) {
    const beats = state.provides.includes("beats");
    return show("alternatives", beats ? "not known yet" : "this server does not predict beats");
  }
  const others = known.tempo_alternatives.map(({ bpm, probability }) => `${bpm.toFixed(0)} (${percent(probability)})`);
  const sure = known.confidence === null ? "" : `${percent(known.confidence)} sure`;
  show("alternatives", [sure, others.length > 0 ? `or ${others.join(", ")}` : ""].filter(Boolean).join("; "));
}

function draw() {
  requestAnimationFrame(draw);
  const fresh = performance.now() - state.received < FRESH * 1000;
  const known = fresh && stream ? state.analysis : null;
  const time = sound.context && origin !== null ? seconds() : 0;

  // A beat is due once its sample sounds; what was played is heard later by the time to the loudspeaker.
  const ahead = stream && origin !== null ? now() : 0;
  for (const due of state.beats.filter((beat) => beat <= ahead)) state.lastBeat = due;
  state.beats = state.beats.filter((beat) => beat > ahead);
  const since = state.lastBeat === null || !stream ? null : (ahead - state.lastBeat) / sound.sampleRate;
  pulse(element("pulse"), since);

  waveform(element("waveform"), stream ? state.samples : null);
  spectrogram.draw(element("spectrogram"));
  level(element("level"), known?.rms, known?.peak);
  chroma(element("chroma"), known?.chroma, known?.chord);
  timeline(element("energy"), time, MINUTE, state.energy, state.transitions);
  timeline(element("pitch-line"), time, SHORT, state.pitch, [], "good");
  timeline(element("onsets"), time, SHORT, [], state.onsets);
  state.onsets = state.onsets.filter((onset) => time - onset.time < SHORT);

  tempo(known);
  show("rms", decibels(known?.rms ?? 0));
  show("momentary", unit(known?.loudness?.momentary, 1, "LUFS"));
  show("short-term", unit(known?.loudness?.short_term, 1, "LUFS"));
  show("integrated", unit(known?.loudness?.integrated, 1, "LUFS"));
  show("key", known?.key ? `in ${name(known.key)}${known.key.endsWith("min") ? "" : " major"}` : "");
  show("next-chord", known?.next_chord
    ? `next perhaps ${name(known.next_chord.label)} (${percent(known.next_chord.confidence)})` : "\u00a0");
  show("pitch", known?.pitch ? note(known.pitch) : "none");
  show("onset-count", `${state.onsetCount}`);
  show("round-trip", unit(stream?.roundTrip, 1, "ms"));
  show("latency", unit(stream ? state.latency : null, 1, "ms"));
  show("quality", state.level?.toLowerCase() ?? "–");
  show("lost", `${state.lost + (stream?.dropped ?? 0)}`);
}

async function demo() {
  await sound.play(await (await fetch("/page/demo.wav")).arrayBuffer(), true);
}

const playFile = (file) => begin(element("file"), async () => sound.play(await file.arrayBuffer(), false));

element("demo").onclick = () => begin(element("demo"), demo);
element("microphone").onclick = () => begin(element("microphone"), () => sound.microphone());
element("file").onclick = () => element("chooser").click();
element("chooser").onchange = ({ target }) => {
  if (target.files.length > 0) playFile(target.files[0]);
  target.value = "";
};
element("stop").onclick = end;
element("theme").onclick = () => {
  const dark = document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  document.documentElement.dataset.theme = dark === "dark" ? "light" : "dark";
  localStorage.setItem("theme", document.documentElement.dataset.theme);
  recolor();
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const keys = { d: "demo", m: "microphone", f: "file", s: "stop", t: "theme" };
  const id = keys[event.key.toLowerCase()];
  if (id) element(id).click();
});

let entered = 0;
document.addEventListener("dragenter", (event) => {
  event.preventDefault();
  entered++;
  element("drop").hidden = false;
});
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("dragleave", () => {
  if (--entered <= 0) element("drop").hidden = true;
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  entered = 0;
  element("drop").hidden = true;
  const file = event.dataTransfer.files[0];
  if (file) playFile(file);
});

const theme = localStorage.getItem("theme");
if (theme) document.documentElement.dataset.theme = theme;
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolor);
recolor();
draw();

// For tests, and for the curious at the console.
window.upbeat = { get state() { return state; }, get stream() { return stream; }, now, sound };
