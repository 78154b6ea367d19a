#!/bin/sh
# extras.sh OPTION...: tools that Debian has no package of, put into a Debian root by npm (packages
# nodejs and npm), which it is run in: by debian.sh, or with `banger image build --script`.
#
#   mise       npm install --global @jdxcode/mise
#   opencode   npm install --global opencode-ai; its server runs on port 4096 at boot
#   claude     npm install --global @anthropic-ai/claude-code
#   pi         npm install --global @mariozechner/pi-coding-agent (wants Node 20: Debian 13)
set -eu

install_global() {
    echo "extras.sh: npm install --global $1"
    npm install --global --no-fund --no-audit "$1"
}

# Without words (as the script of an image build): what EXTRAS names, else all.
# shellcheck disable=SC2086 # one word an option
[ $# -gt 0 ] || set -- ${EXTRAS:-mise opencode claude pi}
for option; do
    case $option in
    mise) install_global @jdxcode/mise ;;
    claude) install_global @anthropic-ai/claude-code ;;
    pi) install_global @mariozechner/pi-coding-agent ;;
    opencode)
        install_global opencode-ai
        cat > /etc/systemd/system/opencode.service << 'UNIT'
[Unit]
Description=opencode's server
After=network.target

[Service]
Environment=HOME=/root
WorkingDirectory=/root
ExecStart=/usr/local/bin/opencode serve --hostname 0.0.0.0 --port 4096
Restart=on-failure

[Install]
WantedBy=multi-user.target
UNIT
        systemctl enable opencode.service
        ;;
    *)
        echo "extras.sh: \"$option\" is none of mise, opencode, claude and pi" >&2
        exit 1
        ;;
    esac
done
rm -rf /root/.npm
