/*
 * usage_shapes.c
 *		The vocabulary of usages, as data.
 *
 * Every provider and every library counts in its own way: cached tokens are a
 * part of the input for one and come on top of it for another, thoughts
 * likewise with the output.  This file says who means what; usage_read.c reads
 * by it.  A site adds to it in airun.usage_shapes.
 *
 * The first shape that is recognised counts, so that the more certain ones
 * come first.  Of several paths to one part that are there, all must say the
 * same.
 *
 * Constants: no lock is taken, and nothing is refused.
 */
#include "pricing/usage_shapes.h"

static const char *const part_names[PART_COUNT] = {
	[PART_INPUT] = "input",
	[PART_INPUT_FRESH] = "input_fresh",
	[PART_INPUT_TEXT] = "input_text",
	[PART_INPUT_TOOL] = "input_tool",
	[PART_CACHE_READ] = "cache_read",
	[PART_CACHE_WRITE] = "cache_write",
	[PART_CACHE_WRITE_5M] = "cache_write_5m",
	[PART_CACHE_WRITE_1H] = "cache_write_1h",
	[PART_INPUT_AUDIO] = "input_audio",
	[PART_INPUT_IMAGE] = "input_image",
	[PART_INPUT_VIDEO] = "input_video",
	[PART_CACHED_AUDIO] = "cached_audio",
	[PART_CACHED_IMAGE] = "cached_image",
	[PART_CACHE_READ_AUDIO] = "cache_read_audio",
	[PART_CACHE_READ_IMAGE] = "cache_read_image",
	[PART_OUTPUT] = "output",
	[PART_OUTPUT_VISIBLE] = "output_visible",
	[PART_OUTPUT_FRESH] = "output_fresh",
	[PART_OUTPUT_TEXT] = "output_text",
	[PART_REASONING] = "reasoning",
	[PART_OUTPUT_AUDIO] = "output_audio",
	[PART_OUTPUT_IMAGE] = "output_image",
	[PART_OUTPUT_VIDEO] = "output_video",
	[PART_TOTAL] = "total",
	[PART_REQUESTS] = "requests",
	[PART_WEB_SEARCHES] = "web_searches",
	[PART_INPUT_IMAGES] = "input_images",
	[PART_OUTPUT_IMAGES] = "output_images",
	[PART_INPUT_SECONDS] = "input_seconds",
	[PART_OUTPUT_SECONDS] = "output_seconds",
	[PART_INPUT_CHARACTERS] = "input_characters",
	[PART_OUTPUT_CHARACTERS] = "output_characters",
	[PART_PAGES] = "pages",
	[PART_IGNORED] = "ignored",
};

/* The part of a name, which need not end in a zero byte */
bool
usage_part_from_name(const char *name, int len, UsagePart *part)
{
	for (int i = 0; i < PART_COUNT; i++)
	{
		if (strlen(part_names[i]) == len && memcmp(part_names[i], name, len) == 0)
		{
			*part = (UsagePart) i;
			return true;
		}
	}
	return false;
}

#define KEYS(...)	(const char *const []) {__VA_ARGS__, NULL}

/* ---------- the shapes ---------- */

/* The details of OpenAI's shapes, under either of their names */
#define INPUT_DETAILS(key) \
	{PART_CACHE_READ, key ".cached_tokens"}, \
	{PART_CACHE_READ, key ".cache_read_tokens"}, \
	{PART_CACHE_WRITE, key ".cache_write_tokens"}, \
	{PART_CACHE_WRITE, key ".cache_creation_tokens"}, \
	{PART_CACHE_WRITE, key ".cache_creation_input_tokens"}, \
	{PART_CACHE_WRITE_5M, key ".cache_creation_token_details.ephemeral_5m_input_tokens"}, \
	{PART_CACHE_WRITE_1H, key ".cache_creation_token_details.ephemeral_1h_input_tokens"}, \
	{PART_INPUT_TEXT, key ".text_tokens"}, \
	{PART_INPUT_AUDIO, key ".audio_tokens"}, \
	{PART_INPUT_IMAGE, key ".image_tokens"}, \
	{PART_INPUT_VIDEO, key ".video_tokens"}, \
	{PART_IGNORED, key ".cached_tokens_details.text_tokens"}, \
	{PART_CACHED_AUDIO, key ".cached_tokens_details.audio_tokens"}, \
	{PART_CACHED_IMAGE, key ".cached_tokens_details.image_tokens"}

#define OUTPUT_DETAILS(key) \
	{PART_REASONING, key ".reasoning_tokens"}, \
	{PART_REASONING, key ".thinking_tokens"}, \
	{PART_OUTPUT_TEXT, key ".text_tokens"}, \
	{PART_OUTPUT_AUDIO, key ".audio_tokens"}, \
	{PART_OUTPUT_IMAGE, key ".image_tokens"}, \
	{PART_OUTPUT_VIDEO, key ".video_tokens"}, \
	{PART_IGNORED, key ".accepted_prediction_tokens"}, \
	{PART_IGNORED, key ".rejected_prediction_tokens"}

/* Anthropic's figures of its cache, which others pass on */
#define ANTHROPIC_CACHE \
	{PART_CACHE_READ, "cache_read_input_tokens"}, \
	{PART_CACHE_WRITE, "cache_creation_input_tokens"}, \
	{PART_CACHE_WRITE_5M, "cache_creation.ephemeral_5m_input_tokens"}, \
	{PART_CACHE_WRITE_1H, "cache_creation.ephemeral_1h_input_tokens"}

/* OpenAI Chat, and what speaks it: DeepSeek, Moonshot, OpenRouter, LiteLLM, ... */
#define CHAT \
	{PART_INPUT, "prompt_tokens"}, \
	{PART_INPUT, "input_tokens"}, \
	{PART_TOTAL, "total_tokens"}, \
	INPUT_DETAILS("prompt_tokens_details"), \
	INPUT_DETAILS("input_tokens_details"), \
	OUTPUT_DETAILS("completion_tokens_details"), \
	OUTPUT_DETAILS("output_tokens_details"), \
	{PART_CACHE_READ, "prompt_cache_hit_tokens"}, \
	{PART_INPUT_FRESH, "prompt_cache_miss_tokens"}, \
	{PART_CACHE_READ, "cached_tokens"}, \
	{PART_CACHE_READ, "num_cached_tokens"}, \
	{PART_INPUT_SECONDS, "prompt_audio_seconds"}, \
	ANTHROPIC_CACHE, \
	{PART_REASONING, "reasoning_tokens"}

static const UsagePath chat[] = {
	{PART_OUTPUT, "completion_tokens"},
	{PART_OUTPUT, "output_tokens"},
	CHAT,
	{0}
};

/* xAI leaves thoughts out of completion_tokens, and Perplexity out of the total too */
static const UsagePath chat_thoughts_apart[] = {
	{PART_OUTPUT_VISIBLE, "completion_tokens"},
	{PART_OUTPUT_VISIBLE, "output_tokens"},
	{PART_INPUT_TEXT, "prompt_text_tokens"},
	{PART_INPUT_IMAGE, "prompt_image_tokens"},
	{PART_CACHE_READ, "cached_prompt_text_tokens"},
	{PART_WEB_SEARCHES, "server_side_tool_usage_details.web_search_calls"},
	CHAT,
	{0}
};

/* What has all of the input in input_tokens: Responses, Codex, LangChain, realtime */
static const UsagePath responses[] = {
	{PART_INPUT, "input_tokens"},
	{PART_OUTPUT, "output_tokens"},
	{PART_TOTAL, "total_tokens"},
	INPUT_DETAILS("input_tokens_details"),
	INPUT_DETAILS("input_token_details"),
	OUTPUT_DETAILS("output_tokens_details"),
	OUTPUT_DETAILS("output_token_details"),
	{PART_CACHE_READ, "cached_input_tokens"},
	{PART_CACHE_WRITE, "cache_write_input_tokens"},
	{PART_REASONING, "reasoning_output_tokens"},
	{PART_CACHE_READ, "input_token_details.cache_read"},
	{PART_CACHE_WRITE, "input_token_details.cache_creation"},
	{PART_CACHE_WRITE_5M, "input_token_details.ephemeral_5m_input_tokens"},
	{PART_CACHE_WRITE_1H, "input_token_details.ephemeral_1h_input_tokens"},
	{PART_INPUT_TEXT, "input_token_details.text"},
	{PART_INPUT_AUDIO, "input_token_details.audio"},
	{PART_INPUT_IMAGE, "input_token_details.image"},
	{PART_INPUT_VIDEO, "input_token_details.video"},
	{PART_REASONING, "output_token_details.reasoning"},
	{PART_OUTPUT_TEXT, "output_token_details.text"},
	{PART_OUTPUT_AUDIO, "output_token_details.audio"},
	{PART_OUTPUT_IMAGE, "output_token_details.image"},
	{PART_OUTPUT_VIDEO, "output_token_details.video"},
	ANTHROPIC_CACHE,
	{0}
};

static const UsagePath anthropic[] = {
	{PART_INPUT_FRESH, "input_tokens"},
	{PART_OUTPUT, "output_tokens"},
	{PART_TOTAL, "total_tokens"},
	OUTPUT_DETAILS("output_tokens_details"),
	ANTHROPIC_CACHE,
	{0}
};

/* Gemini's lists of {modality, tokenCount} */
#define MODALITIES(list, count, audio, image, video, text) \
	{text, list "[TEXT]." count}, \
	{PART_IGNORED, list "[DOCUMENT]." count}, \
	{audio, list "[AUDIO]." count}, \
	{image, list "[IMAGE]." count}, \
	{video, list "[VIDEO]." count}

static const UsagePath gemini[] = {
	{PART_INPUT, "promptTokenCount"},
	{PART_INPUT_TOOL, "toolUsePromptTokenCount"},
	{PART_CACHE_READ, "cachedContentTokenCount"},
	{PART_OUTPUT_VISIBLE, "candidatesTokenCount"},
	{PART_OUTPUT_VISIBLE, "responseTokenCount"},
	{PART_REASONING, "thoughtsTokenCount"},
	{PART_TOTAL, "totalTokenCount"},
	MODALITIES("promptTokensDetails", "tokenCount",
			   PART_INPUT_AUDIO, PART_INPUT_IMAGE, PART_INPUT_VIDEO, PART_INPUT_TEXT),
	MODALITIES("toolUsePromptTokensDetails", "tokenCount",
			   PART_IGNORED, PART_IGNORED, PART_IGNORED, PART_IGNORED),
	MODALITIES("cacheTokensDetails", "tokenCount",
			   PART_CACHED_AUDIO, PART_CACHED_IMAGE, PART_IGNORED, PART_IGNORED),
	MODALITIES("candidatesTokensDetails", "tokenCount",
			   PART_OUTPUT_AUDIO, PART_OUTPUT_IMAGE, PART_OUTPUT_VIDEO, PART_OUTPUT_TEXT),
	MODALITIES("responseTokensDetails", "tokenCount",
			   PART_OUTPUT_AUDIO, PART_OUTPUT_IMAGE, PART_OUTPUT_VIDEO, PART_OUTPUT_TEXT),
	{0}
};

/* The same as Python's library has it */
static const UsagePath gemini_python[] = {
	{PART_INPUT, "prompt_token_count"},
	{PART_INPUT_TOOL, "tool_use_prompt_token_count"},
	{PART_CACHE_READ, "cached_content_token_count"},
	{PART_OUTPUT_VISIBLE, "candidates_token_count"},
	{PART_OUTPUT_VISIBLE, "response_token_count"},
	{PART_REASONING, "thoughts_token_count"},
	{PART_TOTAL, "total_token_count"},
	MODALITIES("prompt_tokens_details", "token_count",
			   PART_INPUT_AUDIO, PART_INPUT_IMAGE, PART_INPUT_VIDEO, PART_INPUT_TEXT),
	MODALITIES("tool_use_prompt_tokens_details", "token_count",
			   PART_IGNORED, PART_IGNORED, PART_IGNORED, PART_IGNORED),
	MODALITIES("cache_tokens_details", "token_count",
			   PART_CACHED_AUDIO, PART_CACHED_IMAGE, PART_IGNORED, PART_IGNORED),
	MODALITIES("candidates_tokens_details", "token_count",
			   PART_OUTPUT_AUDIO, PART_OUTPUT_IMAGE, PART_OUTPUT_VIDEO, PART_OUTPUT_TEXT),
	MODALITIES("response_tokens_details", "token_count",
			   PART_OUTPUT_AUDIO, PART_OUTPUT_IMAGE, PART_OUTPUT_VIDEO, PART_OUTPUT_TEXT),
	{0}
};

/* What the AI SDK's provider returns, before the SDK has summed it up; its version 7 */
static const UsagePath ai_sdk_parts[] = {
	{PART_INPUT, "inputTokens.total"},
	{PART_INPUT_FRESH, "inputTokens.noCache"},
	{PART_CACHE_READ, "inputTokens.cacheRead"},
	{PART_CACHE_WRITE, "inputTokens.cacheWrite"},
	{PART_OUTPUT, "outputTokens.total"},
	{PART_OUTPUT_FRESH, "outputTokens.text"},
	{PART_REASONING, "outputTokens.reasoning"},
	{PART_TOTAL, "totalTokens"},
	{0}
};

#define AI_SDK \
	{PART_INPUT, "promptTokens"}, \
	{PART_OUTPUT, "outputTokens"}, \
	{PART_OUTPUT, "completionTokens"}, \
	{PART_TOTAL, "totalTokens"}, \
	{PART_INPUT_FRESH, "inputTokenDetails.noCacheTokens"}, \
	{PART_CACHE_READ, "inputTokenDetails.cacheReadTokens"}, \
	{PART_CACHE_WRITE, "inputTokenDetails.cacheWriteTokens"}, \
	{PART_OUTPUT_FRESH, "outputTokenDetails.textTokens"}, \
	{PART_REASONING, "outputTokenDetails.reasoningTokens"}, \
	{PART_REASONING, "reasoningTokens"}, \
	INPUT_DETAILS("inputTokensDetails[]"), \
	OUTPUT_DETAILS("outputTokensDetails[]"), \
	INPUT_DETAILS("inputTokensDetails"), \
	OUTPUT_DETAILS("outputTokensDetails"), \
	{PART_CACHE_READ, "cachedInputTokens"}

static const UsagePath ai_sdk[] = {
	{PART_INPUT, "inputTokens"},
	AI_SDK,
	{0}
};

/* Up to its version 5 it passed Anthropic's own figures on */
static const UsagePath ai_sdk_anthropic[] = {
	{PART_INPUT_FRESH, "inputTokens"},
	{PART_CACHE_WRITE, "cacheCreationInputTokens"},
	AI_SDK,
	{0}
};

/* Bedrock, which spells its keys alike, and a model's part in Claude's modelUsage */
static const UsagePath bedrock[] = {
	{PART_INPUT_FRESH, "inputTokens"},
	{PART_OUTPUT, "outputTokens"},
	{PART_TOTAL, "totalTokens"},
	{PART_CACHE_READ, "cacheReadInputTokens"},
	{PART_CACHE_READ, "cacheReadInputTokenCount"},
	{PART_CACHE_WRITE, "cacheWriteInputTokens"},
	{PART_CACHE_WRITE, "cacheWriteInputTokenCount"},
	{PART_CACHE_WRITE, "cacheCreationInputTokens"},
	{PART_CACHE_WRITE_5M, "cacheDetails[5m].inputTokens"},
	{PART_CACHE_WRITE_1H, "cacheDetails[1h].inputTokens"},
	{PART_REASONING, "reasoningTokens"},
	{PART_WEB_SEARCHES, "webSearchRequests"},
	{0}
};

/* What InvokeModel says beside the answer, and Titan and Llama in it */
static const UsagePath bedrock_counts[] = {
	{PART_INPUT_FRESH, "inputTokenCount"},
	{PART_INPUT_FRESH, "inputTextTokenCount"},
	{PART_OUTPUT, "outputTokenCount"},
	{PART_OUTPUT, "results[].tokenCount"},
	{PART_CACHE_READ, "cacheReadInputTokenCount"},
	{PART_CACHE_WRITE, "cacheWriteInputTokenCount"},
	{PART_TOTAL, "totalTokenCount"},
	{0}
};

static const UsagePath llama[] = {
	{PART_INPUT, "prompt_token_count"},
	{PART_OUTPUT, "generation_token_count"},
	{0}
};

/* The Agent Client Protocol: all apart, where agents do not pass on what lies inside */
static const UsagePath acp[] = {
	{PART_INPUT_FRESH, "inputTokens"},
	{PART_INPUT_FRESH, "input_tokens"},
	{PART_OUTPUT_VISIBLE, "outputTokens"},
	{PART_OUTPUT_VISIBLE, "output_tokens"},
	{PART_CACHE_READ, "cachedReadTokens"},
	{PART_CACHE_READ, "cached_read_tokens"},
	{PART_CACHE_WRITE, "cachedWriteTokens"},
	{PART_CACHE_WRITE, "cached_write_tokens"},
	{PART_REASONING, "thoughtTokens"},
	{PART_REASONING, "thought_tokens"},
	{PART_TOTAL, "totalTokens"},
	{PART_TOTAL, "total_tokens"},
	{0}
};

/* Attributes of OpenTelemetry: as they are, as they were, and as they are often spelled */
#define OTEL	"gen_ai.usage."
static const UsagePath opentelemetry[] = {
	{PART_INPUT, OTEL "input_tokens"},
	{PART_INPUT, OTEL "prompt_tokens"},
	{PART_INPUT, "llm.usage.prompt_tokens"},
	{PART_OUTPUT, OTEL "output_tokens"},
	{PART_OUTPUT, OTEL "completion_tokens"},
	{PART_OUTPUT, "llm.usage.completion_tokens"},
	{PART_TOTAL, OTEL "total_tokens"},
	{PART_TOTAL, "llm.usage.total_tokens"},
	{PART_CACHE_READ, OTEL "cache_read.input_tokens"},
	{PART_CACHE_READ, OTEL "cache_read_input_tokens"},
	{PART_CACHE_READ, OTEL "cache_read_tokens"},
	{PART_CACHE_READ, OTEL "cached_input_tokens"},
	{PART_CACHE_READ, OTEL "cached_tokens"},
	{PART_CACHE_READ, OTEL "input_tokens.cached"},
	{PART_CACHE_READ, OTEL "details.cache_read_tokens"},
	{PART_CACHE_READ, OTEL "details.cache_read_input_tokens"},
	{PART_CACHE_READ, OTEL "details.cached_tokens"},
	{PART_CACHE_READ, "gen_ai.openai.usage.prompt_tokens_cached"},
	{PART_CACHE_WRITE, OTEL "cache_creation.input_tokens"},
	{PART_CACHE_WRITE, OTEL "cache_write.input_tokens"},
	{PART_CACHE_WRITE, OTEL "cache_creation_input_tokens"},
	{PART_CACHE_WRITE, OTEL "cache_write_input_tokens"},
	{PART_CACHE_WRITE, OTEL "cache_creation_tokens"},
	{PART_CACHE_WRITE, OTEL "cache_write_tokens"},
	{PART_CACHE_WRITE, OTEL "input_tokens.cache_write"},
	{PART_CACHE_WRITE, OTEL "details.cache_write_tokens"},
	{PART_CACHE_WRITE, OTEL "details.cache_creation_input_tokens"},
	{PART_REASONING, OTEL "reasoning.output_tokens"},
	{PART_REASONING, OTEL "reasoning_output_tokens"},
	{PART_REASONING, OTEL "reasoning_tokens"},
	{PART_REASONING, OTEL "thinking_tokens"},
	{PART_REASONING, OTEL "output_tokens.reasoning"},
	{PART_REASONING, OTEL "details.reasoning_tokens"},
	{PART_REASONING, "llm.usage.reasoning_tokens"},
	{PART_INPUT_TEXT, OTEL "text.input_tokens"},
	{PART_INPUT_AUDIO, OTEL "audio.input_tokens"},
	{PART_INPUT_IMAGE, OTEL "image.input_tokens"},
	{PART_INPUT_VIDEO, OTEL "video.input_tokens"},
	{PART_INPUT_AUDIO, OTEL "details.input_audio_tokens"},
	{PART_OUTPUT_TEXT, OTEL "text.output_tokens"},
	{PART_OUTPUT_AUDIO, OTEL "audio.output_tokens"},
	{PART_OUTPUT_IMAGE, OTEL "image.output_tokens"},
	{PART_OUTPUT_VIDEO, OTEL "video.output_tokens"},
	{PART_OUTPUT_AUDIO, OTEL "details.output_audio_tokens"},
	{PART_IGNORED, OTEL "details.accepted_prediction_tokens"},
	{PART_IGNORED, OTEL "details.rejected_prediction_tokens"},
	{0}
};

#define OPENINFERENCE	"llm.token_count."
static const UsagePath openinference[] = {
	{PART_INPUT, OPENINFERENCE "prompt"},
	{PART_OUTPUT, OPENINFERENCE "completion"},
	{PART_TOTAL, OPENINFERENCE "total"},
	{PART_CACHE_READ, OPENINFERENCE "prompt_details.cache_read"},
	{PART_CACHE_READ, OPENINFERENCE "prompt_details.cache_input"},
	{PART_CACHE_WRITE, OPENINFERENCE "prompt_details.cache_write"},
	{PART_INPUT_AUDIO, OPENINFERENCE "prompt_details.audio"},
	{PART_REASONING, OPENINFERENCE "completion_details.reasoning"},
	{PART_OUTPUT_AUDIO, OPENINFERENCE "completion_details.audio"},
	{0}
};

/* Cohere charges for what is billed; tokens are more than that */
static const UsagePath cohere[] = {
	{PART_INPUT, "billed_units.input_tokens"},
	{PART_OUTPUT, "billed_units.output_tokens"},
	{PART_INPUT_IMAGE, "billed_units.image_tokens"},
	{PART_INPUT_IMAGES, "billed_units.images"},
	{PART_REQUESTS, "billed_units.search_units"},
	{PART_IGNORED, "tokens.input_tokens"},
	{PART_IGNORED, "tokens.output_tokens"},
	{0}
};

static const UsagePath ollama[] = {
	{PART_INPUT, "prompt_eval_count"},
	{PART_OUTPUT, "eval_count"},
	{0}
};

/* OpenCode's tokens, and pi's: no token is in two of them */
static const UsagePath disjoint[] = {
	{PART_INPUT_FRESH, "input"},
	{PART_OUTPUT_FRESH, "output"},
	{PART_REASONING, "reasoning"},
	{PART_CACHE_READ, "cache.read"},
	{PART_CACHE_WRITE, "cache.write"},
	{PART_CACHE_READ, "cacheRead"},
	{PART_CACHE_WRITE, "cacheWrite"},
	{PART_CACHE_WRITE_1H, "cacheWrite1h"},
	{PART_TOTAL, "total"},
	{PART_TOTAL, "totalTokens"},
	{0}
};

/* Buckets, as airun_normalize_usage() makes them, and as Langfuse names them */
static const UsagePath buckets[] = {
	{PART_INPUT_FRESH, "input"},
	{PART_CACHE_READ, "cache_read"},
	{PART_CACHE_READ, "input_cached_tokens"},
	{PART_CACHE_READ, "input_cache_read"},
	{PART_CACHE_WRITE, "input_cache_creation"},
	{PART_CACHE_WRITE_5M, "cache_write_5m"},
	{PART_CACHE_WRITE_5M, "input_cache_creation_5m"},
	{PART_CACHE_WRITE_1H, "cache_write_1h"},
	{PART_CACHE_WRITE_1H, "input_cache_creation_1h"},
	{PART_INPUT_AUDIO, "input_audio"},
	{PART_INPUT_AUDIO, "input_audio_tokens"},
	{PART_CACHE_READ_AUDIO, "cache_read_audio"},
	{PART_INPUT_IMAGE, "input_image"},
	{PART_CACHE_READ_IMAGE, "cache_read_image"},
	{PART_INPUT_VIDEO, "input_video"},
	{PART_OUTPUT_FRESH, "output"},
	{PART_REASONING, "reasoning"},
	{PART_REASONING, "output_reasoning"},
	{PART_REASONING, "output_reasoning_tokens"},
	{PART_REASONING, "reasoning_tokens"},
	{PART_OUTPUT_AUDIO, "output_audio"},
	{PART_OUTPUT_AUDIO, "output_audio_tokens"},
	{PART_OUTPUT_IMAGE, "output_image"},
	{PART_OUTPUT_VIDEO, "output_video"},
	{PART_INPUT, "tokens_input"},
	{PART_OUTPUT, "tokens_output"},
	{PART_TOTAL, "tokens_total"},
	{PART_TOTAL, "total"},
	{0}
};

/* Embeddings and reranking, where there is nothing that comes out */
static const UsagePath total_alone[] = {
	{PART_INPUT, "total_tokens"},
	{PART_INPUT, "totalTokens"},
	{0}
};

#define RESPONSES_KEYS \
	"input_tokens_details.cached_tokens", "input_tokens_details.cache_write_tokens", \
	"input_token_details.cached_tokens", "input_token_details.cache_read", \
	"input_token_details.cache_creation", "input_token_details.ephemeral_1h_input_tokens", \
	"input_token_details.ephemeral_5m_input_tokens", "cached_input_tokens", \
	"cache_write_input_tokens"

const UsageShape usage_shapes[] = {
	{"xAI", "xai", REASONING_BY_TOTAL, KEYS("prompt_tokens", "completion_tokens"),
	chat_thoughts_apart},
	{"Perplexity", "perplexity", 0, KEYS("prompt_tokens", "completion_tokens"),
	chat_thoughts_apart},
	{"OpenAI Chat", NULL, REASONING_BY_TOTAL, KEYS("prompt_tokens", "completion_tokens"), chat},
	{"ACP", NULL, CACHE_BY_TOTAL | REASONING_BY_TOTAL,
		KEYS("cachedReadTokens", "cachedWriteTokens", "thoughtTokens", "cached_read_tokens",
			 "cached_write_tokens", "thought_tokens"), acp},
	{"OpenAI Responses", NULL, 0, KEYS(RESPONSES_KEYS), responses},
	{"Anthropic", NULL, 0,
		KEYS("cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation."),
	anthropic},
	{"input_tokens", NULL, 0, KEYS("input_tokens", "output_tokens"), responses},
	{"Gemini", NULL, 0,
		KEYS("promptTokenCount", "candidatesTokenCount", "responseTokenCount",
			 "thoughtsTokenCount", "totalTokenCount"), gemini},
	{"Llama on Bedrock", NULL, 0, KEYS("generation_token_count"), llama},
	{"Gemini in Python", NULL, 0,
		KEYS("prompt_token_count", "candidates_token_count", "response_token_count",
			 "thoughts_token_count", "total_token_count"), gemini_python},
	{"AI SDK 7", NULL, 0, KEYS("inputTokens.", "outputTokens."), ai_sdk_parts},
	{"Bedrock", NULL, 0,
		KEYS("cacheReadInputTokens", "cacheWriteInputTokens", "cacheCreationInputTokens",
			 "cacheDetails[5m].inputTokens", "cacheDetails[1h].inputTokens"), bedrock},
	{"AI SDK 6", NULL, 0, KEYS("inputTokenDetails", "inputTokenDetails."), ai_sdk},
	{"AI SDK 5, Anthropic", "anthropic", 0, KEYS("cachedInputTokens"), ai_sdk_anthropic},
	{"AI SDK", NULL, 0,
		KEYS("inputTokens", "outputTokens", "promptTokens", "completionTokens"), ai_sdk},
	{"Bedrock, counts", NULL, 0,
		KEYS("inputTokenCount", "outputTokenCount", "inputTextTokenCount"), bedrock_counts},
	{"OpenTelemetry", NULL, 0, KEYS(OTEL, "llm.usage."), opentelemetry},
	{"OpenInference", NULL, 0, KEYS(OPENINFERENCE), openinference},
	{"Cohere", NULL, 0, KEYS("billed_units."), cohere},
	{"Ollama", NULL, 0, KEYS("prompt_eval_count", "eval_count"), ollama},
	{"OpenCode and pi", NULL, 0,
		KEYS("cache.read", "cache.write", "cacheRead", "cacheWrite"), disjoint},
	{"buckets", NULL, ABSENT_IS_ZERO,
		KEYS("input", "output", "tokens_input", "tokens_output", "tokens_total", "cache_read",
			 "cache_write_5m", "cache_write_1h", "reasoning", "input_audio",
			 "cache_read_audio", "input_image", "cache_read_image", "input_video",
			 "output_audio", "output_image", "output_video"), buckets},
	{"a total alone", NULL, TOTAL_ALONE, KEYS("total_tokens", "totalTokens"), total_alone},
};
const int	usage_shape_count = lengthof(usage_shapes);

/* What is counted beside tokens, in whichever shape */
const UsagePath usage_units[] = {
	{PART_REQUESTS, "requests"},
	{PART_WEB_SEARCHES, "web_searches"},
	{PART_WEB_SEARCHES, "web_search_queries"},
	{PART_WEB_SEARCHES, "num_search_queries"},
	{PART_WEB_SEARCHES, "server_tool_use.web_search_requests"},
	{PART_WEB_SEARCHES, "serverToolUse.webSearchRequests"},
	{PART_WEB_SEARCHES, "web_search.num_requests"},
	{PART_INPUT_IMAGES, "input_images"},
	{PART_OUTPUT_IMAGES, "output_images"},
	{PART_INPUT_SECONDS, "input_seconds"},
	{PART_INPUT_SECONDS, "seconds"},
	{PART_OUTPUT_SECONDS, "output_seconds"},
	{PART_INPUT_CHARACTERS, "input_characters"},
	{PART_OUTPUT_CHARACTERS, "output_characters"},
	{PART_PAGES, "pages"},
	{0}
};

/* ---------- where usages are ---------- */

const UsageList usage_lists[] = {
	{"iterations", LIST_MORE, false, false},
	{"request_usage_entries", LIST_SAME, true, false},
	{"requestUsageEntries", LIST_SAME, true, false},
	{"modelUsage", LIST_MORE, false, true},
	{"model_usage", LIST_MORE, false, true},
	{"steps", LIST_MORE, true, false},
	{"raw", LIST_COPY, false, false},
};
const int	usage_list_count = lengthof(usage_lists);

/* Under which keys a whole answer has its usage; the surest first */
const char *const usage_wrappers[] = {
	"totalUsage", "usage", "usageMetadata", "usage_metadata", "usage_details",
	"response.usage", "response.usageMetadata", "response.body.usage", "message.usage",
	"message.usage_metadata", "result.usage", "result.message.usage",
	"data.usage", "body.usage", "x_groq.usage",
	"info.last_token_usage", "info.total_token_usage", "payload.info.last_token_usage",
	"payload.info.total_token_usage", "msg.info.last_token_usage", "token_usage",
	"tokenUsage", "llm_output.token_usage", "llmOutput.tokenUsage",
	"response_metadata.token_usage", "response_metadata.usage",
	"response_metadata.tokenUsage", "amazon-bedrock-invocationMetrics", "metadata.usage", NULL
};

/* And where it may stand in what is no usage itself */
const char *const usage_inner_wrappers[] = {
	"meta", "tokens", "info.tokens", "attributes", NULL
};

/* ---------- what nobody has read ---------- */

/* Words by which a key says that something is counted that may cost money */
const char *const usage_counting_words[] = {
	"tok", "token", "total", "cache", "unit", "search", "reasoning", "thought", "thinking",
	"input", "output", "prompt", "completion", NULL
};

/* Words by which it says that this is another thing */
const char *const usage_other_words[] = {
	"cost", "costs", "price", "prices", "usd", "limit", "limits", "max", "maximum", "min",
	"window", "remaining", "rate", "per", "budget", "duration", "durations", "time", "ms",
	"latency", "percent", "percentage", "ratio", "threshold", "id", "ticks", "message",
	"messages", "arguments", "parameters", NULL
};
