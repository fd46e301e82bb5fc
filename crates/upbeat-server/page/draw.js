// Pictures. Each is a function of a canvas and of what is known; none keeps a clock of its own.

const NAMES = ["C", "D♭", "D", "E♭", "E", "F", "G♭", "G", "A♭", "A", "B♭", "B"];

const colors = {};

/** Reads the colours again: the theme has changed. */
export function recolor() {
  // A property holds both themes' colours; an element that uses it has the one that counts.
  const probe = document.body.appendChild(document.createElement("i"));
  for (const name of ["text", "muted", "line", "accent", "warm", "good"]) {
    probe.style.color = `var(--${name})`;
    colors[name] = getComputedStyle(probe).color;
  }
  probe.remove();
}

/** The canvas' context, as sharp as the screen is, cleared, with its size in CSS pixels. */
function prepare(canvas, clear = true) {
  const ratio = Math.min(devicePixelRatio, 2);
  const { clientWidth: width, clientHeight: height } = canvas;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  if (clear) context.clearRect(0, 0, width, height);
  return { context, width, height };
}

export function waveform(canvas, samples) {
  const { context, width, height } = prepare(canvas);
  context.strokeStyle = colors.line;
  context.beginPath();
  context.moveTo(0, height / 2);
  context.lineTo(width, height / 2);
  context.stroke();
  if (!samples) return;
  context.fillStyle = colors.accent;
  const step = samples.length / width;
  for (let x = 0; x < width; x++) {
    let [low, high] = [0, 0];
    for (let i = Math.floor(x * step); i < (x + 1) * step; i++) {
      low = Math.min(low, samples[i]);
      high = Math.max(high, samples[i]);
    }
    const top = (1 - Math.min(high, 1)) * height / 2;
    const bottom = (1 - Math.max(low, -1)) * height / 2;
    context.fillRect(x, top, 1, Math.max(bottom - top, 1));
  }
}

/** From dark blue over purple and orange to pale yellow, which everyone can tell apart. */
const HEAT = Array.from({ length: 256 }, (_, i) => {
  const x = i / 255;
  const channel = (...stops) => {
    const at = x * (stops.length - 1);
    const low = Math.min(Math.floor(at), stops.length - 2);
    return Math.round(stops[low] + (stops[low + 1] - stops[low]) * (at - low));
  };
  return [channel(4, 60, 145, 220, 250, 252), channel(6, 15, 35, 80, 160, 255), channel(20, 100, 110, 60, 30, 165)];
});

/** A picture that moves to the left by one column each time, in an image of its own. */
export class Spectrogram {
  #columns = 400;
  #image = null;

  add(bands) {
    const height = bands.length;
    if (this.#image?.height !== height) this.#image = new ImageData(this.#columns, height);
    const { data, width } = this.#image;
    data.copyWithin(0, 4);
    for (let i = 0; i < height; i++) {
      // A full-scale sine has some 45 dB in its band; the lowest band is the lowest row.
      const value = Math.max(0, Math.min(255, Math.round((bands[i] + 60) * 255 / 100)));
      data.set([...HEAT[value], 255], 4 * ((height - i) * width - 1));
    }
  }

  clear() {
    this.#image = null;
  }

  draw(canvas) {
    const { context, width, height } = prepare(canvas);
    if (!this.#image) return;
    this.buffer ??= document.createElement("canvas");
    this.buffer.width = this.#image.width;
    this.buffer.height = this.#image.height;
    this.buffer.getContext("2d").putImageData(this.#image, 0, 0);
    context.imageSmoothingEnabled = true;
    context.drawImage(this.buffer, 0, 0, width, height);
  }
}

/** Twelve sectors in the order of fifths, as long as their pitch class is strong; the chord's name in the middle. */
export function chroma(canvas, values, chord) {
  const { context, width, height } = prepare(canvas);
  const [x, y] = [width / 2, height / 2];
  const outer = Math.min(x, y) - 16;
  const inner = outer * 0.42;
  const root = chord && NAMES.indexOf(name(chord.label).split(" ")[0].replace(/m$|7$|maj7$/u, ""));
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.font = "12px system-ui";
  for (let i = 0; i < 12; i++) {
    const pitch = i * 7 % 12;
    const middle = (i - 3) * Math.PI / 6;
    const strength = values ? Math.max(0, Math.min(1, values[pitch])) : 0;
    const sector = (radius) => {
      context.beginPath();
      context.arc(x, y, radius, middle - 0.245, middle + 0.245);
      context.arc(x, y, inner, middle + 0.245, middle - 0.245, true);
      context.closePath();
    };
    sector(outer);
    context.strokeStyle = colors.line;
    context.stroke();
    sector(inner + (outer - inner) * strength);
    context.fillStyle = pitch === root ? colors.warm : colors.accent;
    context.fill();
    context.fillStyle = pitch === root ? colors.text : colors.muted;
    context.fillText(NAMES[pitch], x + (outer + 9) * Math.cos(middle), y + (outer + 9) * Math.sin(middle));
  }
  context.fillStyle = chord ? colors.text : colors.muted;
  const label = chord ? name(chord.label) : "–";
  context.font = `600 ${label.length > 5 ? 13 : 20}px system-ui`;
  context.fillText(label, x, y);
}

/** A chord as musicians write it: "A:min7" is Am7. */
export function name(label) {
  if (label === "N") return "no chord";
  const [root, quality = "maj"] = label.split(":");
  const short = { maj: "", min: "m", 7: "7", maj7: "maj7", min7: "m7", dim: "°", aug: "+" }[quality] ?? quality;
  return root.replace("b", "♭").replace("#", "♯") + short;
}

/** A bar from -60 dB to 0 with a mark at the peak. */
export function level(canvas, rms, peak) {
  const { context, width, height } = prepare(canvas);
  const at = (amplitude) => amplitude > 0 ? Math.max(0, 1 + 20 * Math.log10(amplitude) / 60) * width : 0;
  context.fillStyle = colors.line;
  context.fillRect(0, 0, width, height);
  context.fillStyle = peak >= 0.999 ? colors.warm : colors.good;
  context.fillRect(0, 0, at(rms ?? 0), height);
  context.fillStyle = colors.text;
  context.fillRect(Math.min(at(peak ?? 0), width - 2), 0, 2, height);
}

/**
 * Lines over the last `seconds`: `points` are [time, value from 0 to 1 or null]; `marks` are {time, label}.
 */
export function timeline(canvas, now, seconds, points, marks, color = "accent") {
  const { context, width, height } = prepare(canvas);
  const x = (time) => width * (1 - (now - time) / seconds);
  context.strokeStyle = colors.line;
  context.strokeRect(0.5, 0.5, width - 1, height - 1);
  context.strokeStyle = colors[color];
  context.lineWidth = 2;
  context.beginPath();
  let down = false;
  for (const [time, value] of points) {
    if (value === null || now - time > seconds) {
      down = false;
      continue;
    }
    const y = (1 - value) * (height - 4) + 2;
    if (down) context.lineTo(x(time), y);
    else context.moveTo(x(time), y);
    down = true;
  }
  context.stroke();
  context.lineWidth = 1;
  context.font = "11px system-ui";
  context.textAlign = "left";
  context.textBaseline = "top";
  for (const { time, label } of marks) {
    if (now - time > seconds) continue;
    context.strokeStyle = colors.warm;
    context.beginPath();
    context.moveTo(x(time), 0);
    context.lineTo(x(time), height);
    context.stroke();
    context.fillStyle = colors.text;
    if (label) context.fillText(label, x(time) + 3, 3);
  }
}

/** A disc that lights up on the beat, and fades within `decay` seconds. */
export function pulse(canvas, sinceBeat, decay = 0.25) {
  const { context, width, height } = prepare(canvas);
  const [x, y] = [width / 2, height / 2];
  const radius = Math.min(x, y) - 4;
  const glow = sinceBeat === null ? 0 : Math.max(0, 1 - sinceBeat / decay);
  context.beginPath();
  context.arc(x, y, radius * (0.7 + 0.3 * glow), 0, 2 * Math.PI);
  context.strokeStyle = colors.line;
  context.stroke();
  context.globalAlpha = glow;
  context.fillStyle = colors.warm;
  context.fill();
  context.globalAlpha = 1;
}
