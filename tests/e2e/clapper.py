"""A camera and a microphone that say what time it is: for whoever measures how late, or how far apart, they arrive.

Once a second the microphone beeps, and the top quarter of the picture is white for as long. Its middle half says the
frame's time of day in milliseconds, as `BITS` black or white fields in 4 rows of 8, the highest bit first: a picture
of a picture tells when it was taken.
"""

BITS = 32
COLUMNS, ROWS = 8, 4
BEEP_S = 0.2
FRAME_RATE = 30


def clapper(hertz: int, colour: str, *, width: int = 640, height: int = 360) -> str:
    """A script for a page, to run before its own: `getUserMedia` gives these, the beep being a tone of `hertz`."""
    values = {"HERTZ": hertz, "COLOUR": colour, "WIDTH": width, "HEIGHT": height}
    values |= {"BITS": BITS, "COLUMNS": COLUMNS, "ROWS": ROWS, "BEEP_S": BEEP_S, "FRAME_RATE": FRAME_RATE}
    script = _SCRIPT
    for name, value in values.items():
        script = script.replace(name, str(value))
    return script


READ_TIME = (
    """(video) => {
  const canvas = new OffscreenCanvas(COLUMNS * 8, ROWS * 16);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(video, 0, 0, canvas.width, canvas.height);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  let time = 0;
  for (let bit = 0; bit < BITS; bit += 1) {
    const x = (bit % COLUMNS) * 8 + 4;
    const y = canvas.height / 4 + Math.floor(bit / COLUMNS) * 8 + 4;
    time = time * 2 + (data[4 * (y * canvas.width + x)] > 127 ? 1 : 0);
  }
  return time;
}""".replace("COLUMNS", str(COLUMNS))
    .replace("ROWS", str(ROWS))
    .replace("BITS", str(BITS))
)
"""A function of a page: the time, modulo 2 to the power of `BITS`, that a video element shows over its whole area."""

_SCRIPT = """{
  let context;
  const sound = () => {
    context = new AudioContext();
    const tone = new OscillatorNode(context, { frequency: HERTZ });
    const gate = new GainNode(context, { gain: 0 });
    const out = new MediaStreamAudioDestinationNode(context);
    for (let second = 1; second < 900; second += 1) {
      gate.gain.setValueAtTime(0.5, second);
      gate.gain.setValueAtTime(0, second + BEEP_S);
    }
    tone.connect(gate).connect(out);
    tone.start();
    return out.stream.getAudioTracks()[0];
  };
  const picture = () => {
    const canvas = Object.assign(document.createElement('canvas'), { width: WIDTH, height: HEIGHT });
    const drawing = canvas.getContext('2d');
    const [wide, high] = [WIDTH / COLUMNS, HEIGHT / (2 * ROWS)];
    setInterval(() => {
      const second = context?.currentTime ?? 0;
      drawing.fillStyle = 'COLOUR';
      drawing.fillRect(0, 0, WIDTH, HEIGHT);
      drawing.fillStyle = second > 1 && second % 1 < BEEP_S ? '#fff' : '#000';
      drawing.fillRect(0, 0, WIDTH, HEIGHT / 4);
      const now = Date.now();
      for (let bit = 0; bit < BITS; bit += 1) {
        drawing.fillStyle = Math.floor(now / 2 ** (BITS - 1 - bit)) % 2 ? '#fff' : '#000';
        drawing.fillRect((bit % COLUMNS) * wide, HEIGHT / 4 + Math.floor(bit / COLUMNS) * high, wide, high);
      }
    }, 1000 / FRAME_RATE);
    return canvas.captureStream(FRAME_RATE).getVideoTracks()[0];
  };
  navigator.mediaDevices.getUserMedia = async ({ audio, video }) =>
    new MediaStream([...(audio ? [sound()] : []), ...(video ? [picture()] : [])]);
}
"""
