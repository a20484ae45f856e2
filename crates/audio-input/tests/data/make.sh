#!/bin/sh
# Writes the files of this directory anew, from a recording of the demo: FFMPEG=… ./make.sh
# Made with ffmpeg 9.0.2 (imageio-ffmpeg 0.8.1 on PyPI has it); other versions make other bytes.
set -eu
cd "$(dirname "$0")"
source=../../../../demo/recordings/08_en.wav

make() {
    to=$1
    shift
    "${FFMPEG:-ffmpeg}" -loglevel error -y -i "$source" -map_metadata -1 -fflags +bitexact "$@" "$to"
}

make 08_en.flac -ar 44100 -ac 2 -c:a flac
make 08_en.mp3 -ar 44100 -c:a libmp3lame -b:a 48k
make 08_en.aac -ar 44100 -c:a aac -b:a 48k
make 08_en.m4a -ar 48000 -c:a aac -b:a 48k
make 08_en.mp4 -ar 44100 -ac 2 -c:a aac -b:a 64k -movflags +faststart
make 08_en_alac.m4a -ar 16000 -c:a alac
make 08_en.ogg -ar 44100 -c:a libvorbis -b:a 48k -page_duration 100000
make 08_en.mka -ar 44100 -c:a libvorbis -b:a 48k
make 08_en.opus -c:a libopus -b:a 32k -page_duration 100000
make 08_en_low.opus -c:a libopus -b:a 12k -application voip -page_duration 100000
make 08_en.webm -c:a libopus -b:a 32k
make 08_en_live.webm -c:a libopus -b:a 32k -live 1
make 08_en_stereo.webm -ac 2 -c:a libopus -b:a 64k
