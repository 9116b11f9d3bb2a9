import { useEffect, useRef, useState } from 'preact/hooks';
import { useChanges } from './hooks.js';
import { streamWords } from './words.js';

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

/** What this browser receives of somebody's video now. */
function Details({ call, userId, source }) {
  useChanges(call, 'measured');
  const person = call.participants.get(userId);
  return <p class="details">{person && streamWords(person.quality[source], person.layers[source])}</p>;
}

const PIN = 'M9 3h6l-1 6 4 4H6l4-4zM12 13v8';
const INFO = 'M12 8v.5M12 11v6M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18z';
const WAVE = 'M4 10v4M8 7v10M12 4v16M16 7v10M20 10v4';

function Tool({ label, path, pressed, onPress, wide }) {
  return (
    <button class={wide ? 'wide' : ''} aria-label={label} title={label} aria-pressed={pressed} onClick={onPress}>
      <svg class="icon" viewBox="0 0 24 24" width="18" height="18" aria-hidden="true">
        <path d={path} />
      </svg>
    </button>
  );
}

/**
 * One place in the grid. `watching` is told how large it is; `note` stands where the picture would be. `onPin` is
 * absent where there is nothing to enlarge it over.
 */
export function Tile({ call, watching, name, track, kind = 'camera', muted, speaking, active, own, userId, ...rest }) {
  const { note, pinned, onPin, width } = rest;
  const element = useRef(null);
  const [curious, setCurious] = useState(false);
  useEffect(() => {
    if (own || !userId) return undefined;
    const tile = element.current;
    watching.watch(tile, userId, kind);
    return () => watching.unwatch(tile);
  }, [watching, own, userId, kind]);

  const says = [name, kind === 'screen' && 'screen', muted && 'muted', speaking && 'speaking', note];
  const classes = ['tile', kind, speaking && 'speaking', active && 'active', pinned && 'pinned'];
  const what = kind === 'screen' ? `${name}’s screen` : name;
  return (
    <li
      ref={element}
      class={classes.filter(Boolean).join(' ')}
      data-user={userId}
      data-kind={kind}
      aria-label={says.filter(Boolean).join(', ')}
      style={width && { '--tile': `${width}px` }}
    >
      {track && <Video track={track} mirrored={own && kind === 'camera'} label={`${name}’s ${kind}`} />}
      {(!track || note) && (
        <div class="instead">
          <span class="initials" aria-hidden="true">
            {initials(name)}
          </span>
          {note && <p>{note}</p>}
        </div>
      )}
      {!own && (
        <div class="tools">
          {track && (
            <Tool
              wide
              label={`Details of ${what}`}
              path={INFO}
              pressed={curious}
              onPress={() => setCurious(!curious)}
            />
          )}
          {onPin && <Tool label={`Enlarge ${what}`} path={PIN} pressed={Boolean(pinned)} onPress={onPin} />}
        </div>
      )}
      <div class="foot">
        {curious && track && <Details call={call} userId={userId} source={kind} />}
        <span class="name" dir="auto" aria-hidden="true">
          {active && (
            <svg class="icon" viewBox="0 0 24 24" width="14" height="14">
              <path d={WAVE} />
            </svg>
          )}
          {muted && kind === 'camera' && <span class="muted">muted</span>}
          {what}
        </span>
      </div>
    </li>
  );
}
