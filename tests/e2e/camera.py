"""A camera whose picture is hard to compress, so that every layer takes the bit rate that it may have.

The browser's own fake camera shows a clock: in 960x540 that is 400 kbit/s, and even its middle layer fits through a
link that is meant to be too narrow.
"""


def busy_camera(width: int, height: int, frame_rate: int) -> str:
    """A script for a page, to run before its own: `getUserMedia` gives this camera, and the fake microphone."""
    return _SCRIPT.replace("WIDTH", str(width)).replace("HEIGHT", str(height)).replace("FRAME_RATE", str(frame_rate))


_SCRIPT = """{
  const take = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  const camera = () => {
    const canvas = Object.assign(document.createElement('canvas'), { width: WIDTH, height: HEIGHT });
    const context = canvas.getContext('2d');
    const upTo = (most) => Math.floor(Math.random() * most);
    setInterval(() => {
      for (let patch = 0; patch < 30; patch += 1) {
        context.fillStyle = `hsl(${upTo(360)} 60% ${upTo(100)}%)`;
        context.fillRect(upTo(WIDTH), upTo(HEIGHT), upTo(WIDTH / 12), upTo(HEIGHT / 12));
      }
    }, 1000 / FRAME_RATE);
    return canvas.captureStream(FRAME_RATE).getVideoTracks()[0];
  };
  navigator.mediaDevices.getUserMedia = async ({ audio, video }) => {
    const stream = audio ? await take({ audio }) : new MediaStream();
    if (video) stream.addTrack(camera());
    return stream;
  };
}
"""
