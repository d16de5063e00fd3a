// tests/examples/key_files.hpp - keys that are read from files, or made where there is none yet.
// SPDX-License-Identifier: MIT
#pragma once

#include <regrant/base64.hpp>
#include <regrant/error.hpp>
#include <regrant/random.hpp>
#include <regrant/result.hpp>
#include <regrant/secret.hpp>
#include <regrant/signing_key.hpp>
#include <regrant/token_keyring.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace example {

using regrant::result;
using regrant::secret;
using regrant::setup_error;

/// "FILE: what is wrong with it".
inline regrant::unexpected<setup_error> fault(const std::string& file, std::string_view what) {
    return regrant::unexpected(setup_error{file + ": " + std::string(what)});
}

/// A file descriptor that is closed in the end.
class descriptor {
public:
    explicit descriptor(int number) noexcept : number_(number) {}
    descriptor(const descriptor&) = delete;
    descriptor& operator=(const descriptor&) = delete;
    ~descriptor() {
        if (number_ >= 0) ::close(number_);
    }
    explicit operator bool() const noexcept { return number_ >= 0; }
    int number() const noexcept { return number_; }

private:
    int number_;
};

/// \return nothing where there is no such file
inline result<std::optional<secret>, setup_error> read_file(const std::string& path) {
    const descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file && errno == ENOENT) return std::nullopt;
    if (!file) return fault(path, std::strerror(errno));
    secret text;
    std::array<char, 4096> piece;
    ssize_t size = 0;
    while ((size = ::read(file.number(), piece.data(), piece.size())) > 0)
        text.append({piece.data(), static_cast<std::size_t>(size)});
    regrant::wipe(piece.data(), piece.size());
    if (size < 0) return fault(path, std::strerror(errno));
    return std::optional(std::move(text));
}

/// A secret on one line: of a file where one is named, else of the environment.
/// \return nothing where neither is there
inline result<std::optional<secret>, setup_error> read_secret(const std::string& path, const char* variable) {
    if (path.empty()) {
        const char* const set = std::getenv(variable);
        return set == nullptr || *set == '\0' ? std::nullopt : std::optional(secret(set));
    }
    auto text = read_file(path);
    if (!text) return text;
    if (!*text) return fault(path, "there is no such file");
    std::string_view line = (*text)->reveal();
    line = line.substr(0, line.find_first_of("\r\n"));
    if (line.empty()) return fault(path, "its first line is empty");
    return std::optional(secret(line));
}

/// Says why a file that is missing could not be made.
inline std::optional<std::string> folder_fault(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
    if (::access(folder.c_str(), W_OK | X_OK) == 0) return std::nullopt;
    return "there is no such file, and none can be made in its folder: " + std::string(std::strerror(errno));
}

/// A file for its owner alone that appears whole or not at all: it is written under another name and shows
/// its own name only at `publish`. One that is never published leaves nothing behind.
class new_file {
public:
    static result<new_file, setup_error> write(std::string path, const secret& text) {
        new_file made(std::move(path));
        // mkstemp opens with O_EXCL and mode 0600.
        const descriptor file(::mkstemp(made.draft_.data()));
        if (!file) {
            made.draft_.clear();
            return fault(made.path_, std::strerror(errno));
        }
        const std::string_view bytes = text.reveal();
        if (::write(file.number(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()) ||
            ::fsync(file.number()) != 0)
            return fault(made.path_, std::strerror(errno));
        return made;
    }

    /// Unlike a rename, a link never replaces the key that another server has just made.
    result<void, setup_error> publish() {
        if (::link(draft_.c_str(), path_.c_str()) != 0)
            return fault(path_,
                         errno == EEXIST ? "another server has just made it; start again" : std::strerror(errno));
        ::unlink(draft_.c_str());
        draft_.clear();
        return {};
    }

    new_file(new_file&& other) noexcept
        : path_(std::exchange(other.path_, {})), draft_(std::exchange(other.draft_, {})) {}
    new_file& operator=(new_file&&) = delete;
    ~new_file() {
        if (!draft_.empty()) ::unlink(draft_.c_str());
    }

private:
    explicit new_file(std::string path) : path_(std::move(path)), draft_(path_ + ".new-" + std::string(6, 'X')) {}

    std::string path_;
    std::string draft_;
};

/// A key, and its text where it was made just now and has yet to be written to its file.
template <class Key> struct key_from_file {
    Key key;
    std::optional<secret> made{};

    /// Writes a key that was made, to be published when nothing else can fail.
    result<std::optional<new_file>, setup_error> write(const std::string& path) const {
        if (!made) return std::nullopt;
        auto file = new_file::write(path, *made);
        if (!file) return regrant::unexpected(std::move(file).error());
        return std::optional(*std::move(file));
    }
};

/// \param passphrase  nothing for a key that is not encrypted
inline result<key_from_file<regrant::signing_key>, setup_error>
load_signing_key(const std::string& path, const std::optional<secret>& passphrase) {
    auto text = read_file(path);
    if (!text) return regrant::unexpected(std::move(text).error());
    if (!*text)
        if (const auto why = folder_fault(path)) return fault(path, *why);
    auto key = !*text       ? regrant::signing_key::generate()
               : passphrase ? regrant::signing_key::from_encrypted_pem((*text)->reveal(), *passphrase)
                            : regrant::signing_key::from_pem((*text)->reveal());
    if (!key) return fault(path, key.error().message);
    key_from_file<regrant::signing_key> loaded{*key};
    if (!*text) {
        auto pem = key->to_pem();
        if (!pem) return fault(path, pem.error().detail);
        loaded.made = *std::move(pem);
    }
    return loaded;
}

/// Lines of `ID:BASE64URL-OF-32-BYTES`. The first key mints, all are accepted; `#` starts a comment.
inline result<regrant::token_keyring, setup_error> parse_token_keys(std::string_view text) {
    std::vector<regrant::token_key> keys;
    while (!text.empty()) {
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(line.size() == text.size() ? line.size() : line.size() + 1);
        line = line.substr(0, line.find('#'));
        while (!line.empty() && (line.back() == ' ' || line.back() == '\t' || line.back() == '\r'))
            line.remove_suffix(1);
        if (line.empty()) continue;

        unsigned id = 256;
        const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), id);
        if (error != std::errc() || id > 255 || end == line.data() + line.size() || *end != ':')
            return regrant::unexpected(setup_error{"a line must be ID:KEY with an ID from 0 to 255"});
        line.remove_prefix(static_cast<std::size_t>(end - line.data()) + 1);
        std::vector<std::byte> bytes(line.size() * 3 / 4);
        const bool is_base64url = regrant::base64url_decode(line, bytes);
        secret key(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
        regrant::wipe(bytes.data(), bytes.size());
        if (!is_base64url)
            return regrant::unexpected(setup_error{"token key " + std::to_string(id) + " is not base64url"});
        keys.push_back({static_cast<regrant::token_key_id>(id), std::move(key)});
    }
    return regrant::token_keyring::make(std::move(keys));
}

inline result<key_from_file<regrant::token_keyring>, setup_error> load_token_keys(const std::string& path) {
    auto text = read_file(path);
    if (!text) return regrant::unexpected(std::move(text).error());
    std::optional<secret> made;
    if (!*text) {
        if (const auto why = folder_fault(path)) return fault(path, *why);
        std::array<std::byte, regrant::token_key::least_bytes> bytes;
        if (auto filled = regrant::system_random().fill(bytes); !filled) return fault(path, filled.error().detail);
        made.emplace("# ID:KEY; the first line mints refresh tokens, all are accepted\n1:");
        regrant::base64url_encode(bytes, made->grow(regrant::base64url_size(bytes.size())));
        made->append("\n");
        regrant::wipe(bytes.data(), bytes.size());
    }
    auto ring = parse_token_keys(made ? made->reveal() : (*text)->reveal());
    if (!ring) return fault(path, ring.error().message);
    return key_from_file<regrant::token_keyring>{*std::move(ring), std::move(made)};
}

} // namespace example
