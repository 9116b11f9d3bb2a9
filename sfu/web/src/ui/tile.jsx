import { useEffect, useRef } from 'preact/hooks';

/** A video element on one track. */
export function Video({ track, mirrored = false, label }) {
  const element = useRef(null);
  useEffect(() => {
    element.current.srcObject = new MediaStream([track]);
  }, [track]);
  return <video ref={element} class={mirrored ? 'mirrored' : ''} autoplay playsinline muted aria-label={label} />;
}

const GESTURES = ['click', 'keydown'];

/** The sound of one participant; apart from the picture, so that it goes on while the picture changes. */
export function Sound({ track, userId }) {
  const element = useRef(null);
  useEffect(() => {
    element.current.srcObject = new MediaStream([track]);
    const play = () => element.current?.play().then(stop, () => {});
    const stop = () => GESTURES.forEach((gesture) => removeEventListener(gesture, play, true));
    // a browser may forbid sound until the person does something: then that starts it
    GESTURES.forEach((gesture) => addEventListener(gesture, play, true));
    play();
    return stop;
  }, [track]);
  return <audio ref={element} autoplay data-user={userId} />;
}

const initials = (name) =>
  name
    .split(/[\s._-]+/)
    .map((part) => [...part][0])
    .slice(0, 2)
    .join('')
    .toUpperCase();

/** One place in the grid. */
export function Tile({ name, track, kind = 'camera', muted, speaking, own, userId }) {
  const says = [name, kind === 'screen' ? 'screen' : null, muted ? 'muted' : null, speaking ? 'speaking' : null];
  return (
    <li
      class={`tile ${kind} ${speaking ? 'speaking' : ''}`}
      data-user={userId}
      data-kind={kind}
      aria-label={says.filter(Boolean).join(', ')}
    >
      {track ? (
        <Video track={track} mirrored={own && kind === 'camera'} label={`${name}’s ${kind}`} />
      ) : (
        <span class="initials" aria-hidden="true">
          {initials(name)}
        </span>
      )}
      <span class="name" dir="auto" aria-hidden="true">
        {muted && kind === 'camera' && <span class="muted">muted</span>}
        {kind === 'screen' ? `${name}’s screen` : name}
      </span>
    </li>
  );
}
